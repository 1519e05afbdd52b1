"""What goes to the Hub: cards, public files, remote code, pushes."""
