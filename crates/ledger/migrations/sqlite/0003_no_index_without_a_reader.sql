-- Nothing asks for deliveries by their time alone, and each delivery paid for it.
DROP INDEX deliveries_by_time;
