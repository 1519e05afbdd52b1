"""Readers of tables: CSV, TSV, Parquet and JSON records, a row a frame, a person or a joint."""
