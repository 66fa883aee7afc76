"""Django's settings: the defaults, but for what this service needs and what makes tests quick."""

from __future__ import annotations

import os
from pathlib import Path

HOME = Path(os.environ["DRF_HOME"])

SECRET_KEY = "a key that signs nothing but the tokens of tests"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "drf.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework_simplejwt",
    "drf",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",  # answers a missing slash with a redirect
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": HOME / "support.sqlite3",
        "OPTIONS": {
            # Writers wait for each other instead of failing half-way through a transaction.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY",
        },
    }
}
# Tables are made from the models at once: a minute-old database has no history to migrate.
MIGRATION_MODULES = {"auth": None, "contenttypes": None, "drf": None}
# The default hasher takes a third of a second on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MEDIA_ROOT = HOME / "media"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        "drf.access.HasApiKey",
        "rest_framework.permissions.IsAuthenticated",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "drf.envelope.exception_handler",
}

# The service's own.
APIKEY = os.environ["DRF_APIKEY"]
WRAP_ERRORS = os.environ["DRF_WRAP_ERRORS"] == "1"

# Unhandled exceptions go to the process output, which a failing test shows.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "ERROR"},
}
