"""What a product on disk is: its sensor, bands, unit, offset, time and orbit."""
