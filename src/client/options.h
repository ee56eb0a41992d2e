// What a client is told when it is made.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include "pi0/client.h"

namespace pi0 {

// Throws Error (kInvalidInput) naming the option that cannot be; `url` and `robot` have their own.
void require_options(const ClientOptions& options);

// Whom it trusts. Throws Error (kInvalidInput) naming the file.
boost::asio::ssl::context make_tls(const ClientOptions& options);

}  // namespace pi0
