"""Files in, checked and memory-mapped examples out: sources -> rows -> corpus -> tokenized."""
