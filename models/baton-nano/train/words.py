"""Word lists from which every domain is generated. All lower case ASCII unless it is a proper name."""

# Keys and values of the recall domain, items of the copy domain. Each word is one token with and without a leading space.
NOUNS = """
acorn album alley almond altar anchor angle ankle apple apron arch arena armor arrow attic aunt avenue award axle badge bag baker
balcony ball bamboo banana band bank banner barn barrel basin basket bat bay beach bead beam bean bear beard bed bee beetle bell belt
bench berry bicycle bird biscuit blade blanket block blossom board boat bolt bone bonnet book boot border bottle bow bowl box branch
brass bread brick bridge broom brother brush bucket bud bug bulb bull button cabin cable cactus cake calf camel camera camp canal candle
candy cane canoe canyon cap cape car card cargo carpet carrot cart castle cat cave cellar chain chair chalk cheese cherry chess chest
chicken chimney church cider circle city clay cliff clock cloth cloud clover coach coal coast coat cobweb coin collar comb comet copper
coral cord cork corn corner cotton couch cousin cow crab cradle crane crate creek crow crown crystal cube cup curtain cushion dairy daisy
dam dancer dawn deck deer desert desk diamond dice dish dock doctor dog doll dome donkey door dove dragon drawer dress drum duck dune
dust eagle ear earth easel echo edge eel egg elbow elk elm ember engine envelope eye fabric face fair falcon fan farm feather fence fern
ferry fiddle field fig film finger fire fish flag flame flask fleet flint flock flood floor flour flower flute fly fog forest fork fort
fossil fountain fox frame frog frost fruit fur galaxy game garage garden garlic gate gem ghost giant gift ginger glass globe glove glue
goat gold goose grain grape grass gravel grove guitar gull hail hall hammer hammock hand handle harbor hare harp hat hawk hay hazel
heart hedge helmet hen herb heron hill hinge hive hole honey hood hook horn horse hotel house hunter hut ice igloo ink inn iron island
ivory ivy jacket jade jam jar jelly jewel judge juice jungle kettle key kite kitten knee knife knight knot ladder lady lake lamb lamp
lantern lark lawn leaf leather ledge lemon lens letter library lid light lily lime linen lion lizard lobster lock log loom lotus lunch
magnet maple marble market mask mast match meadow medal melon metal mill mint mirror mitten moat mole monkey moon moose moss moth
motor mountain mouse mud mug mule museum mushroom music nail napkin needle nephew nest net nickel night north nose notebook nurse nut oak
oar oasis oat ocean olive onion orange orbit orchard otter oven owl ox oyster paddle page paint palace palm pan panda paper parade
parcel park parrot path peach peak pear pearl pebble pen pencil penny pepper piano picnic pie pier pigeon pillow pilot pine pipe pirate
pitcher planet plate plum pocket poet pond pony pool poppy porch port pot potato powder prince puddle pumpkin puppet purse puzzle quail
quarry queen quill quilt rabbit radio raft rail rain raven reef ribbon rice ridge ring river road robe robin robot rock rocket roof
room rooster root rope rose rug ruler saddle sail salad salmon salt sand satin sauce scale scarf school screw sea seal seed shadow shark
shed sheep shell shelf shield ship shirt shoe shop shore shovel silk silver sister skate sky sled sleeve slipper smoke snail snake snow
soap sock sofa soil soldier song soup spade spark sparrow spear spice spider spoon spring square squirrel stable stage stair stamp star
station steam steel stem stick stone stool storm stove straw stream street string sugar suit summer sun swan table tailor tank tea
temple tent thimble thorn thread throne thumb thunder tiger tile timber toast toe tomato tongue tool tooth torch tower town toy track
train tray treasure tree trumpet trunk tub tulip tunnel turkey turnip turtle umbrella uncle valley van vase vault vest village vine
violet violin wagon wall walnut walrus watch water wave wax well whale wheat wheel whistle willow wind window wing winter wire wolf
wood wool worm wreath yard yarn zebra
""".split()

ADJECTIVES = """
amber azure big black blue brave bright bronze brown calm clever cold crimson curious dark dry dusty early empty fast fresh gentle
golden grand green grey happy heavy hidden hollow humble indigo jolly kind late lazy light little lone long loud lucky mellow misty new
noble old pale pink plain proud purple quick quiet rapid red rough round royal rusty scarlet shiny short shy sleepy slow small smooth
soft solid steady strange strong sunny sweet swift tall tame thin tiny vivid warm wet white wild wise yellow young
""".split()

FIRST_NAMES = """
Ada Alma Amir Ana Ben Bo Cara Carl Chen Cleo Dana Dev Eli Ella Emma Erik Eva Finn Gita Hana Hugo Ida Igor Ines Ivan Jack Jade Juan
Kai Kira Lars Lena Leo Lila Luca Mara Max Mia Milo Nina Noah Nora Olga Omar Otto Paul Petra Pia Ravi Rosa Ruth Sam Sara Sven Tara
Theo Tom Uma Vera Will Yara Yuki Zara Zoe
""".split()

LAST_NAMES = """
Adler Baker Berg Bishop Brook Carter Cole Cruz Dale Diaz Engel Farmer Fischer Ford Frost Gray Hart Hill Holm Kato Keller King Kovac
Lane Lind Marsh Meyer Mori Novak Nunez Park Patel Reed Rossi Shah Silva Stone Tanaka Vega Wade Weber West Wolf Wood Young
""".split()

CITIES = """
Athens Berlin Bogota Boston Cairo Dublin Geneva Hanoi Havana Kyoto Lagos Lima Lisbon London Madrid Milan Nairobi Oslo Paris Porto
Prague Quito Riga Rome Seoul Sofia Tokyo Toronto Turin Vienna Warsaw Zurich
""".split()

JOBS = """
baker builder carpenter chemist cook dentist doctor driver editor farmer gardener judge lawyer mechanic miner nurse painter pilot
plumber sailor singer tailor teacher writer
""".split()

GOODS = """
apples bananas bottles bowls boxes bricks brushes buttons candles chairs clocks coats cups drums eggs forks gloves hats jars kettles
keys knives lamps lemons mirrors nails onions oranges pans pears pencils pillows plates plums pots ribbons ropes shirts shoes spoons
tables tiles towels toys
""".split()

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

EVENTS = "meeting concert lecture dinner match exam party workshop parade auction".split()

ROOMS = "kitchen garden office hallway bedroom cellar library garage attic bathroom barn market".split()

THINGS = "lamp ball book apple key hat cup drum kite rope coin shoe bottle candle map violin".split()

ANIMALS = "fox owl bear rabbit hedgehog badger mouse frog otter squirrel duck goat deer turtle raven wolf".split()

ANIMAL_NAMES = "Pip Nan Bram Tilly Moss Wick Fern Dot Olly Bean Juno Rue Hob Minka Tock Suki".split()

HOMES = [
    "old mill", "hollow oak", "stone tower", "red barn", "quiet cave", "empty boat", "little hut", "green hill", "broken cart", "tall pine",
    "round house", "mossy log",
]

FOODS = "apples berries cheese honey nuts bread mushrooms carrots plums seeds clover corn".split()

FEARS = "thunder shadows snow bees fire wolves water bells fog storms owls noise".split()

HOBBIES = "singing painting climbing fishing dancing reading digging swimming counting cooking whistling sleeping".split()

NOUNS = sorted(set(NOUNS))

# Words that no domain needs, so that ordinary English also has tokens of its own.
COMMON = """
about above across after again against all almost also always another any because before began begin behind believe below between both
bring build call came carry change come could create different does during each easy end enough even ever every example feel few find
first follow found four give given good great group grow hard have head hear here high hold however idea important inside into keep
kind knew know language large last learn leave left life like line list listen live local look made make many matter may mean might
model more most move much must name near never next number often once only open order other over own part people perhaps place play
point possible problem public question quite read really reason right run said same saw say second see seem sentence several should
show side since small some something soon sound start state still stop such system take talk tell than that them then there these they
think this those though thought three through time together told too turn under until upon use very want was way well went were what
when which while who why with without word work world would write year your
""".split()
