// A visitor of a std::variant out of functions: std::visit(Overloaded{[](A) {}, [](B) {}}, variant).
#pragma once

namespace insync {

template <typename... Functions>
struct Overloaded : Functions... {
    using Functions::operator()...;
};

}  // namespace insync
