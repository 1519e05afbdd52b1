"""Forward-kinematic people who perform labelled actions, written as the files of a real sensor."""
