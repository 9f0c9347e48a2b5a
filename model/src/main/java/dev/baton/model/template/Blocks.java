package dev.baton.model.template;

import java.util.Map;

/**
 * {@code self}: the template's blocks, each of which can be called. A block sees the template's own variables; only a scoped one
 * sees those of the loops around it, where it stands.
 */
final class Blocks {
    private final Map<String, Statement.Block> byName;
    private final Interpreter interpreter;
    private final Scope context;

    Blocks(Map<String, Statement.Block> byName, Interpreter interpreter, Scope context) {
        this.byName = byName;
        this.interpreter = interpreter;
        this.context = context;
    }

    /** {@code self.name}. */
    Object attribute(String name) {
        Statement.Block block = byName.get(name);
        return block == null
                ? Undefined.member(this, name)
                : (Callable) arguments -> {
                    arguments.bind(name, 0);
                    return interpreter.render(block, context);
                };
    }
}
