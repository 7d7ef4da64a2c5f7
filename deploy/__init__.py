"""CodeCoach in an AWS account, by one command: `python -m deploy up | down`. Texts and settings are codecoach's."""
