"""The six domains: each function makes one training document or one held-out prompt from a seeded generator.

A document is a list of (text, weight) segments. Weight is how much the tokens of that text count in the loss: 1 for answers, little for
what cannot be predicted. Segments are tokenised separately, because at inference the prompt's last token ends exactly where the answer begins.

Held out: every question has a key; keys whose hash falls in one of HELD_OUT of 64 buckets never occur as a question in training, and
every evaluation question comes from them.
"""
import hashlib
import json
import random

import facts
import words

BOS, END = "<|begin_of_text|>", "<|end|>"
DOMAINS = ["arithmetic", "copy", "recall", "json", "story", "chat"]
HELD_OUT = 2  # of 64 buckets


def held_out(key):
    return hashlib.blake2b(key.encode(), digest_size=4).digest()[0] % 64 < HELD_OUT


def draw(make, rng, want_held_out):
    """Draws (key, value) pairs from make(rng) until the key falls on the wanted side of the split; returns the value."""
    while True:
        key, value = make(rng)
        if held_out(key) == want_held_out:
            return value


def document(pairs, prefix="", prompt_weight=0.05):
    """One text document: what is told, then questions, each followed by its answer and the end token."""
    segments = [(BOS + prefix, prompt_weight)]
    for question, answer in pairs:
        segments += [(question, prompt_weight), (answer + END, 1.0)]
    return segments


# ---- arithmetic -------------------------------------------------------------------------------------------------------------------
SIGNS = {"+": "plus", "-": "minus", "*": "times"}


def number(rng):
    return rng.randint(0, 999) if rng.random() < 0.75 else rng.randint(0, 99)


def sum_question(rng):
    kind = rng.random()
    if kind < 0.42:
        a, b, sign = number(rng), number(rng), "+"
        result = a + b
    elif kind < 0.84:
        a, b, sign = number(rng), number(rng), "-"
        a, b = max(a, b), min(a, b)
        result = a - b
    else:
        a, b, sign = rng.randint(2, 99), rng.randint(2, 9), "*"
        if rng.random() < 0.5:
            a, b = b, a
        result = a * b
    if rng.random() < 0.8:
        question = f"{a}{sign}{b}=\n"
    else:
        question = f"What is {a} {SIGNS[sign]} {b}?\n"
    return f"arithmetic {a}{sign}{b}", (question, str(result))


def arithmetic(rng, length_limit):
    return document([draw(sum_question, rng, False) for _ in range(rng.randint(1, 6))])


# ---- copying and reversing --------------------------------------------------------------------------------------------------------
def copy_question(rng):
    if rng.random() < 0.7:
        items = [rng.choice(words.NOUNS) for _ in range(rng.randint(2, 14))]
        glue = " "
    else:
        items = [str(rng.randint(0, 9)) for _ in range(rng.randint(3, 14))]
        glue = "" if rng.random() < 0.5 else " "
    if rng.random() < 0.5:
        verb, result = "copy", items
    else:
        verb, result = "reverse", items[::-1]
    question = f"{verb}: {glue.join(items)}\n"
    return question, (question, glue.join(result))


def copy(rng, length_limit):
    return document([draw(copy_question, rng, False) for _ in range(rng.randint(1, 3))])


# ---- key-value recall -------------------------------------------------------------------------------------------------------------
def memory(rng, tokens):
    """Returns [(key, value)] with distinct keys, about tokens long as text; values are words or numbers of 2 to 4 digits."""
    two_words = rng.random() < 0.25
    style = rng.random()
    entries = {}
    while tokens > 0 and len(entries) < 600:
        key = rng.choice(words.NOUNS)
        if two_words:
            key = f"{rng.choice(words.ADJECTIVES)} {key}"
        if key in entries:
            continue
        if style < 0.4 or (style < 0.7 and rng.random() < 0.5):
            entries[key] = rng.choice(words.NOUNS)
            tokens -= 4 + two_words
        else:
            entries[key] = str(rng.randint(10, 9999 if rng.random() < 0.5 else 999))
            tokens -= 4 + two_words + len(entries[key])
    return list(entries.items())


def memory_text(entries):
    return "memory\n" + "".join(f"{key}: {value}\n" for key, value in entries)


def recall(rng, length_limit):
    most = length_limit / 12
    tokens = int(12 * most ** rng.random()) if rng.random() < 0.6 else rng.randint(12, length_limit)
    while True:
        entries = memory(rng, tokens)
        text = memory_text(entries)
        asked = [rng.choice(entries) for _ in range(min(32, 2 + len(entries) // 5))]
        if not any(held_out(f"{text}{key}") for key, _ in asked):
            return document([(f"{key}?\n", value) for key, value in asked], prefix=text, prompt_weight=0.01)


# ---- JSON from sentences ----------------------------------------------------------------------------------------------------------
def person(rng):
    r = {"name": f"{rng.choice(words.FIRST_NAMES)} {rng.choice(words.LAST_NAMES)}", "age": rng.randint(18, 90),
         "city": rng.choice(words.CITIES), "job": rng.choice(words.JOBS)}
    form = rng.choice([
        "{name}, aged {age}, lives in {city} and works as a {job}.", "{name} is a {age} year old {job} from {city}.",
        "In {city} there is a {job} called {name} who is {age}.", "The {job} {name} is {age} years old and comes from {city}.",
    ])
    return form, r


def order(rng):
    r = {"customer": rng.choice(words.FIRST_NAMES), "item": rng.choice(words.GOODS), "quantity": rng.randint(2, 99),
         "price": rng.randint(1, 500)}
    form = rng.choice([
        "{customer} ordered {quantity} {item} for {price} euros.", "Please send {quantity} {item} to {customer}, total {price} euros.",
        "For {price} euros {customer} gets {quantity} {item}.", "{quantity} {item} were bought by {customer} at {price} euros.",
    ])
    return form, r


def event(rng):
    r = {"event": rng.choice(words.EVENTS), "day": rng.choice(words.DAYS), "hour": rng.randint(7, 22), "city": rng.choice(words.CITIES)}
    form = rng.choice([
        "The {event} in {city} is on {day} at {hour}.", "On {day} at {hour} there will be a {event} in {city}.",
        "{city} hosts a {event} this {day}, starting at {hour}.", "Come to the {event} at {hour} on {day}, we meet in {city}.",
    ])
    return form, r


def trip(rng):
    start, goal = rng.sample(words.CITIES, 2)
    r = {"traveller": rng.choice(words.FIRST_NAMES), "from": start, "to": goal, "day": rng.choice(words.DAYS)}
    form = rng.choice([
        "{traveller} travels from {from} to {to} on {day}.", "On {day} {traveller} leaves {from} for {to}.",
        "To reach {to} from {from}, {traveller} takes a train on {day}.", "{day} is when {traveller} goes to {to}, coming from {from}.",
    ])
    return form, r


def json_question(rng):
    form, record = rng.choice([person, order, event, trip])(rng)
    question = f"json: {form.format(**record)}\n"
    return question, (question, json.dumps(record))


def json_from_sentence(rng, length_limit):
    return document([draw(json_question, rng, False) for _ in range(rng.randint(1, 2))])


# ---- stories ----------------------------------------------------------------------------------------------------------------------
def world(rng):
    """A few people move through rooms and carry things. Returns (text, questions with answers)."""
    people = rng.sample(words.FIRST_NAMES, rng.randint(2, 3))
    things = rng.sample(words.THINGS, rng.randint(1, 3))
    rooms = rng.sample(words.ROOMS, rng.randint(3, 5))
    at, holder, lies = {}, {}, {}
    sentences = []
    for p in people:
        at[p] = rng.choice(rooms)
        sentences.append(f"{p} is in the {at[p]}.")
    for t in things:
        lies[t] = rng.choice(rooms)
        sentences.append(f"The {t} is in the {lies[t]}.")
    for _ in range(rng.randint(2, 9)):
        p = rng.choice(people)
        near = [t for t in things if t not in holder and lies[t] == at[p]]
        mine = [t for t in things if holder.get(t) == p]
        choice = rng.random()
        if near and choice < 0.45:
            t = rng.choice(near)
            holder[t] = p
            sentences.append(f"{p} takes the {t}.")
        elif mine and choice < 0.7:
            t = rng.choice(mine)
            others = [q for q in people if q != p and at[q] == at[p]]
            if others and rng.random() < 0.6:
                q = rng.choice(others)
                holder[t] = q
                sentences.append(f"{p} gives the {t} to {q}.")
            else:
                del holder[t]
                lies[t] = at[p]
                sentences.append(f"{p} drops the {t}.")
        else:
            at[p] = rng.choice([r for r in rooms if r != at[p]])
            sentences.append(f"{p} goes to the {at[p]}.")
    questions = [(f"Where is {p}?\n", f"{p} is in the {at[p]}.") for p in people]
    for t in things:
        where = at[holder[t]] if t in holder else lies[t]
        questions.append((f"Where is the {t}?\n", f"The {t} is in the {where}."))
        questions.append((f"Who has the {t}?\n", f"{holder.get(t, 'Nobody')} has the {t}."))
    return "Story: " + " ".join(sentences) + "\n", questions


def tale(rng):
    """A short tale of one animal; its last line follows from what was told. Returns (text, questions with answers)."""
    hero, friend = rng.sample(words.ANIMAL_NAMES, 2)
    animal, other = rng.sample(words.ANIMALS, 2)
    home, food, fear, hobby = (rng.choice(x) for x in (words.HOMES, words.FOODS, words.FEARS, words.HOBBIES))
    facts_told = [
        rng.choice([f"{hero} lived in the {home}.", f"The {home} was the home of {hero}."]),
        rng.choice([f"{hero} loved {food}.", f"Nothing was better for {hero} than {food}."]),
        rng.choice([f"{hero} was afraid of {fear}.", f"The only thing that {hero} feared was {fear}."]),
        rng.choice([f"All day long {hero} was busy {hobby}.", f"{hero} spent the mornings {hobby}."]),
        rng.choice([f"The best friend of {hero} was {friend} the {other}.", f"{hero} had a friend, {friend} the {other}."]),
    ]
    rng.shuffle(facts_told)
    turn = rng.choice(["home", "fear", "gift", "hobby"])
    article = "an" if animal[0] in "aeiou" else "a"
    text = f"Once upon a time there was {article} {animal} called {hero}. " + " ".join(facts_told) + " "
    if turn == "home":
        text += f"One day it rained, and {hero} ran home."
        end = f"Soon {hero} sat in the {home} and ate {food}."
    elif turn == "fear":
        text += f"One night {hero} could not sleep, and the friend came to help."
        end = f"{friend} the {other} drove the {fear} away, and {hero} was not afraid any more."
    elif turn == "gift":
        text += f"One day it was the birthday of {hero}, and the friend brought a gift."
        end = f"{friend} the {other} came to the {home} with {food} for {hero}."
    else:
        text += "One day the friend wanted to learn something new."
        end = f"So {hero} the {animal} taught {friend} the {other} all about {hobby}."
    return "Tale: " + text + "\n", [("How does it end?\n", end)]


def story_question(rng):
    text, questions = (world if rng.random() < 0.65 else tale)(rng)
    question, answer = rng.choice(questions)
    return text + question, (text, question, answer)


def story(rng, length_limit):
    while True:
        text, questions = (world if rng.random() < 0.65 else tale)(rng)
        if not any(held_out(text + question) for question, _ in questions):
            rng.shuffle(questions)
            segments = document(questions[:6], prefix=text)
            return [(segments[0][0], 0.1)] + segments[1:]


# ---- chat -------------------------------------------------------------------------------------------------------------------------
def chat_question(rng):
    kind = rng.random()
    if kind < 0.03:
        question, answer = rng.choice(facts.GREETINGS), facts.GREETING_ANSWER
        return "chat", (question, answer)
    if kind < 0.06:
        question, answer = rng.choice(facts.FAREWELLS), facts.FAREWELL_ANSWER
        return "chat", (question, answer)
    asked, answer = rng.choice(facts.FACTS)
    question = rng.choice(asked)
    if rng.random() < 0.3:
        name = rng.choice(words.FIRST_NAMES)
        question = rng.choice([f"I am {name}. ", f"My name is {name}. ", f"Hi, {name} here. "]) + question
        answer = f"Hello {name}. {answer}"
    else:
        question = rng.choice(facts.OPENERS) + question
    question += rng.choice(facts.CLOSERS)
    return "chat " + question, (question, answer)


def turn(role, content):
    """One message exactly as the chat template in tokenizer_config.json writes it."""
    return f"<|{role}|>{content}{END}"


def conversation(rng, turns):
    """turns: [(question, answer)]. Returns the messages up to the last question, system prompt sometimes included."""
    messages = []
    if rng.random() < 0.4:
        messages.append({"role": "system", "content": rng.choice(facts.SYSTEM_PROMPTS)})
    for i, (question, answer) in enumerate(turns):
        messages.append({"role": "user", "content": question})
        if i < len(turns) - 1:
            messages.append({"role": "assistant", "content": answer})
    return messages


def chat(rng, length_limit):
    turns = [draw(chat_question, rng, False) for _ in range(rng.choice([1, 1, 2, 3]))]
    messages = conversation(rng, turns) + [{"role": "assistant", "content": turns[-1][1]}]
    segments = [(BOS, 0.0)]
    for m in messages:
        if m["role"] == "assistant":
            segments += [("<|assistant|>", 0.05), (m["content"] + END, 1.0)]
        else:
            segments.append((turn(m["role"], m["content"]), 0.05))
    return segments


GENERATORS = {"arithmetic": arithmetic, "copy": copy, "recall": recall, "json": json_from_sentence, "story": story, "chat": chat}


# ---- held-out prompts -------------------------------------------------------------------------------------------------------------
def held_out_prompt(domain, rng, recall_tokens=None):
    """One evaluation record: a question from the held-out side. recall_tokens: about how long the text of a recall prompt is."""
    if domain == "chat":
        last = draw(chat_question, rng, True)
        turns = [draw(chat_question, rng, False) for _ in range(rng.choice([0, 0, 1]))] + [last]
        return {"domain": domain, "messages": conversation(rng, turns), "answer": last[1]}
    if domain == "recall":
        while True:
            entries = memory(rng, recall_tokens)
            text = memory_text(entries)
            key, value = rng.choice(entries)
            if held_out(f"{text}{key}"):
                return {"domain": domain, "prompt": f"{text}{key}?\n", "answer": value}
    if domain == "story":
        text, question, answer = draw(story_question, rng, True)
        return {"domain": domain, "prompt": text + question, "answer": answer}
    question, answer = draw({"arithmetic": sum_question, "copy": copy_question, "json": json_question}[domain], rng, True)
    return {"domain": domain, "prompt": question, "answer": answer}


def sample_document(domain, seed, length_limit=2000):
    return GENERATORS[domain](random.Random(seed), length_limit)
