"""The catalog: which models are kept available, and what people call them.

`entries` holds the values and answers for names; `form` says what an entry may look like; `file` reads the YAML. No
network here, and no look at the store: ids on disk are handed in.
"""

from availability.catalog.entries import AttributeValue, Catalog, CatalogEntry, Priority, Substitution
from availability.catalog.file import keep_catalog, load_catalog

__all__ = ["AttributeValue", "Catalog", "CatalogEntry", "Priority", "Substitution", "keep_catalog", "load_catalog"]
