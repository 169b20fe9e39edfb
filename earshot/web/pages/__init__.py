"""One file a page. A page is a plain function that takes a `Visit`; `earshot.web.site` says where it lives and who may enter."""
