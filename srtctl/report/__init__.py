"""What srtctl shows of a sweep before and while it runs."""
