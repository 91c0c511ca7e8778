//! What only holds for rows in a store of keys and values.
