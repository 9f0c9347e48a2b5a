package dev.baton.engine.node;

import dev.baton.engine.grammar.Matcher;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.GrammarSpec;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The grammars of the answers whose tokens this node chooses. Matchers do not travel with plans: a node makes its own
 * when a sequence enters its row, and a matcher catches up with the row's tokens by itself. One thread.
 */
final class FollowedGrammars {
    private final Function<GrammarSpec, Matcher> compiler;
    /** By group, by row. */
    private final List<Map<Integer, Followed>> rows = new ArrayList<>();

    private record Followed(GrammarSpec spec, Matcher matcher) {}

    FollowedGrammars(int groups, Function<GrammarSpec, Matcher> compiler) {
        this.compiler = compiler;
        for (int g = 0; g < groups; g++) {
            rows.add(new HashMap<>());
        }
    }

    /** The plan with the matchers of its sequences. */
    StepPlan follow(int group, StepPlan plan) {
        Map<Integer, Followed> followed = rows.get(group);
        plan.prefixes().forEach(prefix -> followed.remove(prefix.row()));
        @Nullable Matcher[] matchers = new Matcher[plan.sequences()];
        boolean any = false;
        for (int b = 0; b < matchers.length; b++) {
            GrammarSpec spec = plan.sampling()[b].grammar();
            if (spec != null) {
                int row = plan.rows()[b];
                Followed known = followed.get(row);
                if (known == null || !known.spec.equals(spec)) {
                    known = new Followed(spec, compiler.apply(spec));
                    followed.put(row, known);
                }
                matchers[b] = known.matcher;
                any = true;
            }
        }
        return any ? plan.withMatchers(matchers) : plan;
    }
}
