"""The command line of dal-nlp: one file for each command."""
