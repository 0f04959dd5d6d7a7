"""The commands, a module a subject. Each imports what it needs when it runs, so that `tenarai --help` is instant."""
