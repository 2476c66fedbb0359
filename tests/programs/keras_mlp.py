"""The keras-mlp system as one writes it in Keras 3, with its imports replaced."""

import numpy as np

from mnist_c import keras
from mnist_c.keras import layers

keras.utils.set_random_seed(1)

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train = x_train.astype("float32") / 255.0
x_test = x_test.astype("float32") / 255.0
y_train = keras.utils.to_categorical(y_train, 10)
y_test = keras.utils.to_categorical(y_test, 10)

model = keras.Sequential(
    [
        keras.Input(shape=(28, 28)),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(10, activation="softmax"),
    ]
)
model.summary()
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.001),
    loss="categorical_crossentropy",
    metrics=["accuracy"],
)
history = model.fit(x_train, y_train, batch_size=32, epochs=10, validation_split=0.2, verbose=2)

test_loss, test_acc = model.evaluate(x_test, y_test, verbose=0)
predictions = np.argmax(model.predict(x_test), axis=1)
wrong = np.flatnonzero(predictions != np.argmax(y_test, axis=1))
print(f"Best validation accuracy: {max(history.history['val_accuracy']):.4f}")
print(f"Misclassified: {len(wrong)}")
print(f"Test accuracy: {test_acc:.4f}, test loss: {test_loss:.4f}")
