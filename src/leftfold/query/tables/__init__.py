"""Read models as SQL tables. SQLAlchemy is imported in this package alone, and this package only when it is needed."""

from leftfold.errors import MissingExtra

try:
    import sqlalchemy as sqlalchemy
except ImportError as error:
    raise MissingExtra("sqlalchemy", "models") from error
