"""Hydra plugins of srtctl: the launchers and the sweeper. (`hydra_plugins` itself is a nameshas no __init__.)"""
