"""The middleware every application has, by the names in `config.core_middleware`."""
