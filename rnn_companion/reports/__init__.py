"""What a reader's own data show: tables, pictures and pages for the command."""
