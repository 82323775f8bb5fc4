"""The demo on real flights: the loop that `make demo` runs through Airflow, and the tables that it prints."""
