"""What clean reads are good for: results computed from what the lake holds, each with its refusals."""
