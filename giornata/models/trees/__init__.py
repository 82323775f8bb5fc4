"""Trees as decision trees and random forests share them, and the offset of labels that all trees learn without."""
