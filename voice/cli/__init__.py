"""The tocsin command. Imports are lazy, so that --help is instant."""
