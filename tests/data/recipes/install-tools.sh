pip list > /dev/null
