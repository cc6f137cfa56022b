"""From a CSV file to meetings and attendees, with every problem in one go."""
