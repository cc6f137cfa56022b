"""What people look at: tables, JSON, mails to operators."""
