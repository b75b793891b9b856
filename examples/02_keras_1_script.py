"""A script for Keras 1, as it was: it runs, and says what the names are called today."""

import warnings

import nncompile as keras
from nncompile.layers import Activation, Dense
from nncompile.models import Sequential

warnings.simplefilter("default", DeprecationWarning)

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train, x_test = x_train.reshape(-1, 28 * 28) / 255, x_test.reshape(-1, 28 * 28) / 255
y_train, y_test = keras.utils.to_categorical(y_train, 10), keras.utils.to_categorical(y_test, 10)

model = Sequential()
model.add(Dense(input_dim=28 * 28, output_dim=500))
model.add(Activation("sigmoid"))
model.add(Dense(output_dim=500))
model.add(Activation("sigmoid"))
model.add(Dense(output_dim=10))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=100, nb_epoch=5, verbose=2)

score = model.evaluate(x_test, y_test, verbose=0)
print("Total loss on testing set:", score[0])
print("Accuracy of testing set:", score[1])
