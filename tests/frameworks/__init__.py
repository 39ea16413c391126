"""Tests on real applications of the frameworks: what is special to each of them."""
