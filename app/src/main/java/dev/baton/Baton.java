package dev.baton;

import dev.baton.app.ChatTemplates;
import dev.baton.app.EngineAssembly;
import dev.baton.engine.EngineException;
import dev.baton.engine.request.EngineRequest;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.protocol.request.GenerateRequest;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * A model that runs in this JVM: the engine of {@code baton serve} (continuous batching, prefix cache) without its
 * server. Every method may be called from any thread; prompts of several threads are batched. The JVM needs {@code
 * --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED}.
 *
 * <pre>{@code
 * try (Baton model = Baton.load(Path.of("models/baton-nano"))) {
 *     System.out.println(model.generate("612+52=\n"));
 * }
 * }</pre>
 */
public final class Baton implements AutoCloseable {
    /** What is used where no parameters are given: greedy, at most 256 tokens. */
    public static final SamplingParams DEFAULT_SAMPLING = SamplingParams.greedy(256);

    private final EngineAssembly assembly;
    private final Tokenizer tokenizer;
    private final @Nullable ChatTemplates template;
    private final AtomicLong requests = new AtomicLong();

    private Baton(EngineAssembly assembly, Tokenizer tokenizer, @Nullable ChatTemplates template) {
        this.assembly = assembly;
        this.tokenizer = tokenizer;
        this.template = template;
    }

    /**
     * Loads a model folder (config.json, tokenizer.json, *.safetensors).
     *
     * @param flags launch flags of {@code baton serve}, such as {@code --tp-size=2} or {@code --max-total-tokens=8192}
     * @throws EngineException CONFIGURATION when flags, model and machine do not fit
     * @throws dev.baton.model.ModelException when the folder is not sound
     * @throws dev.baton.protocol.ProtocolException when a flag is unknown or has a wrong value
     */
    public static Baton load(Path folder, String... flags) {
        List<String> words = new ArrayList<>(List.of("--model-path=" + folder));
        words.addAll(List.of(flags));
        ServerArgs args = ServerArgs.parse(words);
        EngineAssembly assembly = EngineAssembly.start(args, EngineAssembly.RoleWiring.NONE);
        try {
            Tokenizer tokenizer = assembly.tokenizer();
            if (tokenizer == null) {
                throw new EngineException(
                        EngineException.Code.CONFIGURATION,
                        folder + ": generating text needs a tokenizer; leave --skip-tokenizer-init out");
            }
            return new Baton(assembly, tokenizer, ChatTemplates.find(folder, args.textOrNull("chat-template")));
        } catch (RuntimeException e) {
            assembly.close();
            throw e;
        }
    }

    /**
     * Sampling parameters by the names that the server's {@code sampling_params} have: {@code temperature}, {@code
     * top_p}, {@code max_new_tokens}, {@code stop} and so on; what is left out has the server's default.
     *
     * @throws dev.baton.protocol.ProtocolException naming an unknown parameter or a wrong value
     */
    public static SamplingParams sampling(Map<String, ?> parameters) {
        byte[] body =
                JsonMapper.shared().writeValueAsBytes(Map.of("input_ids", List.of(0), "sampling_params", parameters));
        return GenerateRequest.read(body).items().getFirst().sampling();
    }

    /** The continuation of a text, with {@link #DEFAULT_SAMPLING}. */
    public String generate(String prompt) {
        return generate(prompt, DEFAULT_SAMPLING).text();
    }

    /**
     * The continuation of a text; returns when it is whole.
     *
     * @throws EngineException INVALID_REQUEST when the prompt is too long or a parameter is out of range
     */
    public Completion generate(String prompt, SamplingParams sampling) {
        try (TextStream stream = stream(prompt, sampling)) {
            return stream.completion();
        }
    }

    /** As {@link #stream(String, SamplingParams)} with {@link #DEFAULT_SAMPLING}. */
    public TextStream stream(String prompt) {
        return stream(prompt, DEFAULT_SAMPLING);
    }

    /** The continuation of a text, piece by piece as it is made. Closing it before its end aborts the request. */
    public TextStream stream(String prompt, SamplingParams sampling) {
        return submit(tokenizer.encode(prompt, true), sampling);
    }

    /** The answer to a conversation, with {@link #DEFAULT_SAMPLING}. */
    public String chat(Message... messages) {
        return chat(List.of(messages), DEFAULT_SAMPLING).text();
    }

    /**
     * The answer to a conversation, which the model's chat template turns into a prompt.
     *
     * @throws EngineException INVALID_REQUEST when the model has no chat template
     * @throws dev.baton.model.ModelException TEMPLATE when the template refuses the conversation
     */
    public Completion chat(List<Message> messages, SamplingParams sampling) {
        try (TextStream stream = streamChat(messages, sampling)) {
            return stream.completion();
        }
    }

    /** As {@link #chat(List, SamplingParams)}, piece by piece. */
    public TextStream streamChat(List<Message> messages, SamplingParams sampling) {
        if (template == null) {
            throw new EngineException(
                    EngineException.Code.INVALID_REQUEST,
                    "the model has no chat template; use generate, or load it with --chat-template=FILE");
        }
        List<Map<String, Object>> turns = messages.stream()
                .map(message -> Map.<String, Object>of("role", message.role(), "content", message.content()))
                .toList();
        return submit(tokenizer.encode(template.render(turns, false, Map.of()), false), sampling);
    }

    private TextStream submit(int[] ids, SamplingParams sampling) {
        sampling.validate(assembly.config().vocabSize());
        String rid = "in-process-" + requests.incrementAndGet() + "-";
        TextStream stream = new TextStream(() -> assembly.engine().abort(rid));
        assembly.engine().submit(EngineRequest.of(rid, ids, sampling), stream::accept);
        return stream;
    }

    /** The number of tokens of a text, without those that the tokenizer puts around it. */
    public int countTokens(String text) {
        return tokenizer.encode(text, false).length;
    }

    /** Ends live requests and frees the model. */
    @Override
    public void close() {
        assembly.close();
    }
}
