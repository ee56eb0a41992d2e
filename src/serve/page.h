// The page to look at: what robots see, what they are told, how long it takes.
#pragma once

#include <string_view>

#include "serve/http.h"

namespace pi0 {

// At "/", "/page.css", "/page.js"; "/state.json?since=N&client=ID" (Board::state, and what is so
// now); "/image/ID/CAMERA" (Board::picture). Nothing can be changed by it. There is no page where
// the server listens to other machines without a key. The request is one that has its key.
HttpAnswer answer_page(const Hub& hub, const HttpRequest& request);

// The files of src/serve/page/, which CMake puts here.
extern const std::string_view kPageHtml, kPageCss, kPageJs;

}  // namespace pi0
