package dev.baton.model.template;

import java.util.List;

/** Reads tokens in order. */
final class TokenStream {
    private final List<Token> tokens;
    private int at;

    TokenStream(List<Token> tokens) {
        this.tokens = tokens;
    }

    Token current() {
        return tokens.get(at);
    }

    Token look() {
        return tokens.get(Math.min(at + 1, tokens.size() - 1));
    }

    Token next() {
        Token token = tokens.get(at);
        if (at + 1 < tokens.size()) {
            at++;
        }
        return token;
    }

    boolean skipName(String name) {
        if (current().name(name)) {
            next();
            return true;
        }
        return false;
    }

    boolean skipOperator(String operator) {
        if (current().operator(operator)) {
            next();
            return true;
        }
        return false;
    }

    Token expect(Token.Type type, String what) {
        if (current().type() != type) {
            throw unexpected(what);
        }
        return next();
    }

    void expectOperator(String operator) {
        if (!skipOperator(operator)) {
            throw unexpected("'" + operator + "'");
        }
    }

    void expectName(String name) {
        if (!skipName(name)) {
            throw unexpected("'" + name + "'");
        }
    }

    TemplateFault unexpected(String expected) {
        return TemplateFault.syntax(
                "expected " + expected + ", got '" + current().describe() + "'",
                current().line());
    }
}
