package dev.baton.model.template;

import dev.baton.model.template.Statement.Signature;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A macro, or the body of a call block, with the scope it was defined in. */
final class Macro implements Callable {
    private final Signature signature;
    private final List<Statement> body;
    private final Scope scope;
    private final Interpreter interpreter;

    Macro(Signature signature, List<Statement> body, Scope scope, Interpreter interpreter) {
        this.signature = signature;
        this.body = body;
        this.scope = scope;
        this.interpreter = interpreter;
    }

    String name() {
        return signature.name();
    }

    /** {@code macro.name} and the like. */
    @Nullable
    Object attribute(String attribute) {
        return switch (attribute) {
            case "name" -> signature.name();
            case "arguments" -> new Tuple(new ArrayList<>(signature.parameters()));
            case "catch_kwargs" -> signature.catches().contains("kwargs");
            case "catch_varargs" -> signature.catches().contains("varargs");
            case "caller" -> signature.catches().contains("caller");
            default -> Undefined.member(this, attribute);
        };
    }

    @Override
    public Object call(Arguments arguments) {
        Scope inner = scope.inner();
        Map<String, @Nullable Object> keyword = new LinkedHashMap<>(arguments.keyword());
        List<@Nullable Object> positional = arguments.positional();
        List<String> parameters = signature.parameters();
        int required = parameters.size() - signature.defaults().size();
        for (int i = 0; i < parameters.size(); i++) {
            String parameter = parameters.get(i);
            if (i < positional.size()) {
                inner.set(parameter, positional.get(i));
            } else if (keyword.containsKey(parameter)) {
                inner.set(parameter, keyword.remove(parameter));
            } else if (i >= required) {
                inner.set(
                        parameter,
                        interpreter.evaluator().evaluate(signature.defaults().get(i - required), inner));
            } else {
                inner.set(parameter, Undefined.hint("parameter '" + parameter + "' was not provided"));
            }
        }
        bindSpecial(inner, keyword, positional);
        return interpreter.render(body, inner);
    }

    private void bindSpecial(Scope inner, Map<String, @Nullable Object> keyword, List<@Nullable Object> positional) {
        int parameters = signature.parameters().size();
        if (signature.catches().contains("caller")) {
            Object caller = keyword.remove("caller");
            inner.set("caller", caller != null ? caller : Undefined.hint("No caller defined"));
        }
        if (signature.catches().contains("kwargs")) {
            inner.set("kwargs", keyword);
        } else if (!keyword.isEmpty()) {
            throw TemplateFault.type("macro '" + name() + "' takes no keyword argument "
                    + PythonText.repr(keyword.keySet().iterator().next()));
        }
        if (signature.catches().contains("varargs")) {
            inner.set(
                    "varargs",
                    new Tuple(new ArrayList<>(
                            positional.subList(Math.min(parameters, positional.size()), positional.size()))));
        } else if (positional.size() > parameters) {
            throw TemplateFault.type("macro '" + name() + "' takes not more than " + parameters + " argument(s)");
        }
    }
}
