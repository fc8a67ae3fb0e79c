// Checks SQL expressions that users give as options, before anything is stored or run.
#pragma once

#include <string>

namespace insync {

// What an expression may read: a relation as it stands after FROM, and what to tell of it where the expression is
// wrong.
struct ExpressionScope {
    const char* relation;
    const char* hint;
};

// Plans `SELECT (expression) FROM relation`; returns the type. An error says that `what` doesn't compile, and points
// into the expression. Needs an Spi in scope, as the role that the expression will run as.
std::string check_expression(const std::string& what, const std::string& expression, const ExpressionScope& scope);

// The same of a condition: throws where it isn't boolean.
void check_condition(const std::string& what, const std::string& condition, const ExpressionScope& scope);

}  // namespace insync
