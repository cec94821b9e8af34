"""The plugins that come with hven, a package per family. They use nothing that other plugins cannot."""
