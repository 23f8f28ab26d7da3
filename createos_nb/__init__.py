"""createos_nb."""
