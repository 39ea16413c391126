"""What queryscope must not do to an application, whatever goes wrong."""
