package dev.baton.protocol.reply;

/** Token counts of an OpenAI reply. */
public record Usage(int promptTokens, int completionTokens) {
    public void write(JsonBytes out) {
        out.raw("{\"prompt_tokens\":").number(promptTokens);
        out.raw(",\"total_tokens\":").number((long) promptTokens + completionTokens);
        out.raw(",\"completion_tokens\":").number(completionTokens);
        out.raw(",\"prompt_tokens_details\":null,\"reasoning_tokens\":0}");
    }
}
