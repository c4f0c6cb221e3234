"""One file a resource; admin_api.app lists them all."""
