"""Identifiers: opaque texts, one type for each kind, so that none is mistaken."""

from typing import NewType

TenantId = NewType("TenantId", str)
OrganizationId = NewType("OrganizationId", str)
PartnerId = NewType("PartnerId", str)
CustomerId = NewType("CustomerId", str)
LocationId = NewType("LocationId", str)
ThingId = NewType("ThingId", str)
ThingDefinitionId = NewType("ThingDefinitionId", str)
ProductModelId = NewType("ProductModelId", str)
ProductModelPartId = NewType("ProductModelPartId", str)
MetricId = NewType("MetricId", str)
UserId = NewType("UserId", str)
ApiKeyId = NewType("ApiKeyId", str)
DataExportId = NewType("DataExportId", str)
DataImportId = NewType("DataImportId", str)
