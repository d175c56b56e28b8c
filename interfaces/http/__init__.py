"""The HTTP edge: `app.create_app` puts it together, `bodies` reads what comes in, `errors` says what went wrong."""
