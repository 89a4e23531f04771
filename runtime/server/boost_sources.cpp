// The parts of Asio and Beast that need no types of ours, compiled once instead of in every file.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
