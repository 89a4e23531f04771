// The parts of Asio and Beast that are no templates over our types, compiled once instead of in every file.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
