//! Random histories of a vault, and rows of their past that are put back.
