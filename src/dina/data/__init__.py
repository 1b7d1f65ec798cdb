"""What a model may see: splits by image, groups of near-identical images, standardised image–response pairs."""
