"""The pages that people see. `site.py` lists every address and who may enter; `pages/` has one file a page."""
