"""A Django site around the library: REST framework, admin, GraphQL, templates."""
