// Compiles the parts of Asio and Beast that are not templates over our types, once instead of in every file.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
